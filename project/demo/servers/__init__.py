"""What runs beside the site in the demo, each in this process: mail, webhooks, the web server, a worker."""
