"""The calls of CollectionService, one module per kind of resource."""
