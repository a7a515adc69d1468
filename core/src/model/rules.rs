//! The rules of GMainContext that can be switched off, to show that the tests notice.
//!
//! Without the feature `mutants` every rule is a constant, and there is nothing to switch.

/// Declares the rules once, as constants or as switches.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Which rules are on; all of them, unless a test makes a mutant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Rules {
            $(
                $(#[$doc])*
                #[cfg(feature = "mutants")]
                pub $name: bool,
            )*
        }

        impl Rules {
            /// All rules, as in GLib.
            pub const GLIB: Self = Self { $(#[cfg(feature = "mutants")] $name: true,)* };

            $(
                #[cfg(feature = "mutants")]
                pub(super) fn $name(self) -> bool {
                    self.$name
                }

                #[cfg(not(feature = "mutants"))]
                pub(super) const fn $name(self) -> bool {
                    true
                }
            )*
        }
    };
}

rules! {
    /// READY stays until the source is dispatched (gmain.c:3757, 3408).
    sticky_ready,
    /// A source that cannot recurse is blocked while it is dispatched (gmain.c:3432).
    blocking,
    /// Blocking a source blocks its children (gmain.c:3351).
    blocking_children,
    /// A prepare drops what an outer iteration still had to dispatch (gmain.c:3736).
    drop_pending,
    /// Once a source is chosen, lower priorities are not dispatched (gmain.c:4142).
    one_priority,
    /// A quit before the run is forgotten (gmain.c:4446).
    forget_quit,
    /// A descriptor of a source makes it ready whatever its check says (gmain.c:4092).
    fds_make_ready,
    /// A ready child makes its parent ready (gmain.c:3823).
    child_triggers_parent,
    /// A child comes before its parent (gmain.c:1220).
    child_before_parent,
    /// A poll set that changed since the query ends the iteration (gmain.c:4009).
    bail_out,
}

impl Default for Rules {
    fn default() -> Self {
        Self::GLIB
    }
}
