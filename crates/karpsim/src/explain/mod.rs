//! Why a pod goes where it goes, or nowhere.
