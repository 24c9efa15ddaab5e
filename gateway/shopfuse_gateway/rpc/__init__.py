"""The wire: services, validation, admission, health, errors as statuses."""
