//! Karpenter's control loops as a state machine without I/O.
