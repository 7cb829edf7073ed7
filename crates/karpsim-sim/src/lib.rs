//! The world around the controller.
