"""AdAdaGrad against optimizers whose batch size is searched, and what growing batches cost."""
