"""What watches shopfuse, as code: tables of objectives, alerts and dashboards, rendered for Prometheus and Grafana.

`python -m monitoring.render` writes `rules/`, `dashboards/` and the tables of docs/monitoring.md; nothing here serves.
"""
