"""convostore's adapters, through its public interface."""
