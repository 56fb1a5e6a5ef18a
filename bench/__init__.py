"""The benchmarks: `python -m bench.run`. Nothing else imports this."""
