//! A small screen reader: finds widgets by name, presses them, reads labels.
//!
//! If it cannot find a widget, a blind user cannot either.

use atspi::connection::AccessibilityConnection;
use atspi::proxy::accessible::{AccessibleProxy, ObjectRefExt};
use atspi::proxy::bus::BusProxy;
use atspi::proxy::proxy_ext::ProxyExt;
use atspi::zbus::Connection;
use atspi::{CoordType, ObjectRefOwned, Role, StateSet};
use tokio::runtime::{Builder, Runtime};

use super::{Desk, wait_for, wait_until};

/// The reader of one program.
pub struct Reader {
    program: &'static str,
    runtime: Runtime,
    connection: AccessibilityConnection,
}

/// A widget as the reader sees it.
#[derive(Clone, Debug)]
pub struct Node {
    pub role: Role,
    pub name: String,
    pub description: String,
    pub states: StateSet,
    /// The title of its window.
    pub window: String,
    object: ObjectRefOwned,
}

type Found<T> = Result<T, atspi::AtspiError>;

/// A widget and its children. All requests go out at once: each request that waits for the one
/// before it costs an iteration of the program's loop.
async fn look(to: Connection, object: ObjectRefOwned) -> Found<(Node, Vec<ObjectRefOwned>)> {
    let proxy = object.clone().into_accessible_proxy(&to).await?;
    let (role, name, description, states, children) = tokio::try_join!(
        proxy.get_role(),
        proxy.name(),
        proxy.description(),
        proxy.get_state(),
        proxy.get_children()
    )?;
    // GTK before 4.10 has no other word for a toggle. Its state says whether it is pressed.
    let role = if role == Role::ToggleButton { Role::Button } else { role };
    let name = spoken(name);
    let window = name.clone();
    Ok((Node { role, name, description, states, window, object }, children))
}

/// GTK before 4.13.3 reports a label both with its mnemonic and without: `_Cancel Cancel`.
fn spoken(name: String) -> String {
    let halves = name.split_at_checked(name.len() / 2);
    let twice = halves.and_then(|(with, without)| Some((with, without.strip_prefix(' ')?)));
    match twice {
        Some((with, without)) if with.contains("_") && with.replacen('_', "", 1) == without => {
            without.to_owned()
        }
        _ => name,
    }
}

impl Reader {
    /// Starts assistive technology on the desk's bus, for the program with this name.
    pub fn of(desk: &Desk, program: &'static str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(async {
            let address = desk.bus_address();
            let bus = atspi::zbus::connection::Builder::address(address)?.build().await?;
            let address = BusProxy::new(&bus).await?.get_address().await?;
            AccessibilityConnection::from_address(address.as_str().try_into()?).await
        });
        Self { program, runtime, connection: connection.expect("assistive technology starts") }
    }

    async fn proxy(&self, object: &ObjectRefOwned) -> Found<AccessibleProxy<'_>> {
        object.clone().into_accessible_proxy(self.connection.connection()).await
    }

    async fn walk(&self) -> Found<Vec<Node>> {
        let connection = self.connection.connection();
        let root = self.connection.root_accessible_on_registry().await?;
        let mut level = Vec::new();
        for program in root.get_children().await? {
            let (program, windows) = look(connection.clone(), program).await?;
            if program.name == self.program {
                level.extend(windows.into_iter().map(|window| (window, None)));
            }
        }
        let mut nodes = Vec::new();
        while !level.is_empty() {
            let looks = level.into_iter().map(|(object, window): (_, Option<String>)| {
                (tokio::spawn(look(connection.clone(), object)), window)
            });
            // All are started before the first is awaited.
            let looks: Vec<_> = looks.collect();
            level = Vec::new();
            for (looked, window) in looks {
                let (mut node, children) = looked.await.expect("no panic")?;
                // A window's own name is its title.
                node.window = window.unwrap_or(node.window);
                level.extend(children.into_iter().map(|child| (child, Some(node.window.clone()))));
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    /// All widgets of the program. Starts over when one disappears meanwhile.
    pub fn all(&self) -> Vec<Node> {
        wait_for("the tree of widgets", || {
            self.runtime.block_on(self.walk()).ok().filter(|nodes| !nodes.is_empty())
        })
    }

    /// Waits for a widget of this role and name.
    pub fn find(&self, role: Role, name: &str) -> Node {
        self.find_such(role, name, |_| true)
    }

    /// Waits for one in the window with this title.
    pub fn find_in(&self, title: &str, role: Role, name: &str) -> Node {
        self.find_such(role, name, |node| node.window == title)
    }

    /// Waits for one that also satisfies `such`.
    pub fn find_such(&self, role: Role, name: &str, such: impl Fn(&Node) -> bool) -> Node {
        let is_it = |node: &Node| node.role == role && node.name == name && such(node);
        wait_until(&format!("a {role:?} called `{name}`"), || {
            let nodes = self.all();
            let found = nodes.iter().find(|node| is_it(node)).cloned();
            found.ok_or_else(|| {
                nodes.into_iter().filter(|node| node.role == role).collect::<Vec<_>>()
            })
        })
    }

    /// Waits for the widget with this description.
    pub fn described(&self, description: &str) -> Node {
        wait_for(&format!("a widget described as `{description}`"), || {
            self.all().into_iter().find(|node| node.description == description)
        })
    }

    /// The text of a label now; `None` when it is gone.
    pub fn text(&self, node: &Node) -> Option<String> {
        let name = async { Found::Ok(self.proxy(&node.object).await?.name().await?) };
        self.runtime.block_on(name).ok()
    }

    /// Presses a widget.
    pub fn press(&self, node: &Node) {
        let pressed = self.runtime.block_on(async {
            let proxies = self.proxy(&node.object).await?.proxies().await?;
            Found::Ok(proxies.action().await?.do_action(0).await?)
        });
        assert_eq!(pressed.ok(), Some(true), "{node:?} is pressed");
    }

    /// The middle of a widget, in coordinates of its window.
    pub fn middle(&self, node: &Node) -> (i32, i32) {
        let extents = self.runtime.block_on(async {
            let proxies = self.proxy(&node.object).await?.proxies().await?;
            Found::Ok(proxies.component().await?.get_extents(CoordType::Window).await?)
        });
        let (x, y, width, height) = extents.expect("the place of a widget");
        (x + width / 2, y + height / 2)
    }
}
