//! What a pod without a place meets at the end of a round.
