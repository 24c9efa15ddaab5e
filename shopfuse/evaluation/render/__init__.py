"""A report as Markdown, HTML and plots."""
