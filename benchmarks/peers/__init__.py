"""Other people's chat stores: an adapter a module, its pinned requirements in the same name."""
