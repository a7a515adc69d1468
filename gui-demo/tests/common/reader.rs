//! A screen reader of one's own: finds widgets by name, presses them, reads labels.
//!
//! What it cannot find, somebody who does not see the window cannot find either.

use atspi::connection::AccessibilityConnection;
use atspi::proxy::accessible::{AccessibleProxy, ObjectRefExt};
use atspi::proxy::bus::BusProxy;
use atspi::proxy::proxy_ext::ProxyExt;
use atspi::{CoordType, ObjectRefOwned, Role};
use tokio::runtime::{Builder, Runtime};

use super::{Desk, wait_for};

/// The name under which the demo is known.
const PROGRAM: &str = "gui-demo";

/// The reader.
pub struct Reader {
    runtime: Runtime,
    connection: AccessibilityConnection,
}

/// A widget as the reader sees it.
#[derive(Clone, Debug)]
pub struct Node {
    pub role: Role,
    pub name: String,
    pub description: String,
    object: ObjectRefOwned,
}

type Found<T> = Result<T, atspi::AtspiError>;

impl Reader {
    /// Starts assistive technology on the desk's bus.
    pub fn of(desk: &Desk) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(async {
            let address = desk.bus_address();
            let bus = atspi::zbus::connection::Builder::address(address)?.build().await?;
            let address = BusProxy::new(&bus).await?.get_address().await?;
            AccessibilityConnection::from_address(address.as_str().try_into()?).await
        });
        Self { runtime, connection: connection.expect("assistive technology starts") }
    }

    async fn proxy(&self, object: &ObjectRefOwned) -> Found<AccessibleProxy<'_>> {
        object.clone().into_accessible_proxy(self.connection.connection()).await
    }

    async fn node(&self, object: ObjectRefOwned) -> Found<Node> {
        let proxy = self.proxy(&object).await?;
        let (role, name) = (proxy.get_role().await?, proxy.name().await?);
        let description = proxy.description().await?;
        Ok(Node { role, name, description, object })
    }

    async fn walk(&self) -> Found<Vec<Node>> {
        let root = self.connection.root_accessible_on_registry().await?;
        let mut nodes = Vec::new();
        for program in root.get_children().await? {
            let program = self.node(program).await?;
            if program.name != PROGRAM {
                continue;
            }
            let mut left = vec![program.object];
            while let Some(object) = left.pop() {
                let proxy = self.proxy(&object).await?;
                left.extend(proxy.get_children().await?);
                nodes.push(self.node(object).await?);
            }
        }
        Ok(nodes)
    }

    /// All widgets of the demo. One that goes away meanwhile makes it begin again.
    pub fn all(&self) -> Vec<Node> {
        wait_for("the tree of widgets", || {
            self.runtime.block_on(self.walk()).ok().filter(|nodes| !nodes.is_empty())
        })
    }

    /// Waits for a widget of this role and name.
    pub fn find(&self, role: Role, name: &str) -> Node {
        wait_for(&format!("a {role:?} called `{name}`"), || {
            self.all().into_iter().find(|node| node.role == role && node.name == name)
        })
    }

    /// Waits for the widget that is described so.
    pub fn described(&self, description: &str) -> Node {
        wait_for(&format!("a widget described as `{description}`"), || {
            self.all().into_iter().find(|node| node.description == description)
        })
    }

    /// What a label says now; none when it is gone.
    pub fn text(&self, node: &Node) -> Option<String> {
        let node = self.runtime.block_on(self.node(node.object.clone()));
        node.ok().map(|node| node.name)
    }

    /// Presses a widget.
    pub fn press(&self, node: &Node) {
        let pressed = self.runtime.block_on(async {
            let proxies = self.proxy(&node.object).await?.proxies().await?;
            Found::Ok(proxies.action().await?.do_action(0).await?)
        });
        assert_eq!(pressed.ok(), Some(true), "{node:?} is pressed");
    }

    /// The middle of a widget, in its window.
    pub fn middle(&self, node: &Node) -> (i32, i32) {
        let extents = self.runtime.block_on(async {
            let proxies = self.proxy(&node.object).await?.proxies().await?;
            Found::Ok(proxies.component().await?.get_extents(CoordType::Window).await?)
        });
        let (x, y, width, height) = extents.expect("the place of a widget");
        (x + width / 2, y + height / 2)
    }
}
