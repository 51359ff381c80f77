"""Training of the appearance network: crops from stores, self-blended images, degradation, the network."""
