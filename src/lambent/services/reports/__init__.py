"""What Lambent itself answers besides AWS's APIs: `/metrics` for Prometheus, and what usage would cost."""
