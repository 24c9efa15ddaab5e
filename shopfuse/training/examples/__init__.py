"""What models are trained on: replayed impressions, tower and ranker examples, labelled texts, views of images."""
