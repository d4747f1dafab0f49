"""A trained model behind HTTP: requests, uploads decoded elsewhere, batches, a page. Needs the extra `serve`."""
