"""Stand-ins for the far side and for time, public: test your own bot with them."""
