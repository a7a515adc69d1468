//! Dark colours, by the setting that the running GTK has for them.
//!
//! GTK 4.20 has replaced `gtk-application-prefer-dark-theme` by `gtk-interface-color-scheme`, and a
//! later one warns where the old one is set. We compile against 4.8, so the new one is looked up by
//! its name when the program runs.

use gtk4::Settings;
use gtk4::glib::prelude::*;
use gtk4::glib::{EnumClass, Object, Value};

/// From GTK 4.20 on: light, dark, or what the system prefers.
const SCHEME: &str = "gtk-interface-color-scheme";

/// Before.
const PREFER_DARK: &str = "gtk-application-prefer-dark-theme";

/// Switches to dark colours, or back to those of the system.
pub fn set_dark(settings: &Settings, dark: bool) {
    let (name, value) = dark_setting(settings);
    if dark {
        settings.set_property_from_value(name, &value);
    } else {
        settings.reset_property(name);
    }
}

/// The name of the setting, and its value for dark colours.
fn dark_setting(settings: &impl IsA<Object>) -> (&'static str, Value) {
    let scheme = settings
        .find_property(SCHEME)
        .and_then(|property| EnumClass::with_type(property.value_type())?.to_value_by_nick("dark"));
    scheme.map_or_else(|| (PREFER_DARK, true.to_value()), |dark| (SCHEME, dark))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use gtk4::glib::subclass::prelude::*;
    use gtk4::glib::{self, ParamSpec, ParamSpecBoolean, ParamSpecEnum};

    use super::*;

    /// As in GTK 4.20.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
    #[enum_type(name = "LoopnestTestScheme")]
    enum Scheme {
        #[default]
        Default,
        Dark,
    }

    #[derive(Debug, Default)]
    pub struct NewSettings;

    #[glib::object_subclass]
    impl ObjectSubclass for NewSettings {
        const NAME: &'static str = "LoopnestTestNewSettings";
        type Type = New;
    }

    impl ObjectImpl for NewSettings {
        fn properties() -> &'static [ParamSpec] {
            static ALL: LazyLock<[ParamSpec; 2]> = LazyLock::new(|| {
                let scheme = ParamSpecEnum::builder::<Scheme>(SCHEME).build();
                [scheme, ParamSpecBoolean::builder(PREFER_DARK).build()]
            });
            &*ALL
        }
    }

    glib::wrapper! {
        pub struct New(ObjectSubclass<NewSettings>);
    }

    #[derive(Debug, Default)]
    pub struct OldSettings;

    #[glib::object_subclass]
    impl ObjectSubclass for OldSettings {
        const NAME: &'static str = "LoopnestTestOldSettings";
        type Type = Old;
    }

    impl ObjectImpl for OldSettings {
        fn properties() -> &'static [ParamSpec] {
            static ALL: LazyLock<[ParamSpec; 1]> =
                LazyLock::new(|| [ParamSpecBoolean::builder(PREFER_DARK).build()]);
            &*ALL
        }
    }

    glib::wrapper! {
        pub struct Old(ObjectSubclass<OldSettings>);
    }

    #[test]
    fn the_new_setting_is_taken_where_there_is_one() {
        let (name, value) = dark_setting(&Object::new::<New>());
        assert_eq!((name, value.get::<Scheme>().ok()), (SCHEME, Some(Scheme::Dark)));
        let (name, value) = dark_setting(&Object::new::<Old>());
        assert_eq!((name, value.get::<bool>().ok()), (PREFER_DARK, Some(true)));
    }
}
