"""The pure core of ranking: types, features, tensors, text, policy and metrics. numpy only, no input or output."""
