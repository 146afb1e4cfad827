"""From a checkpoint to a bundle. The only room that may import torch, and only in the modules that need it."""
