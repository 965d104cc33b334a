//! What wasmtime makes of `wit/notifier/0.1.0`. A later version gets a module beside it, and an adapter into the
//! newest one's types.

wasmtime::component::bindgen!({
    path: "../../wit/notifier/0.1.0",
    world: "notifier-plugin",
    imports: { "uptime:notifier/http": async | trappable },
    exports: { default: async },
    additional_derives: [serde::Serialize],
});
