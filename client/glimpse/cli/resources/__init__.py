"""Commands that manage named things: collections, labels, examples, backbones and API keys."""
