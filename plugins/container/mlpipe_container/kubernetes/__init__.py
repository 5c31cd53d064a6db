"""Services in Kubernetes clusters at EKS, through the clusters' own API."""
