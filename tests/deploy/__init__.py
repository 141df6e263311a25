"""Rolling deploys: Django processes of several versions and configurations, on the same stores."""
