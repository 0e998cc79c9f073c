"""Every message takes effect once, over a transport that promises nothing."""
