;; Wants an interface of WASI that this host does not have.
;; expect: bad component: the plugin `hostile` can't be loaded: component imports instance `wasi:threads/spawn@0.2.0`, but a matching implementation was not found in the linker: instance export `spawn` has the wrong type: function implementation is missing

(component
  (import "wasi:threads/spawn@0.2.0" (instance (export "spawn" (func (param "start" u32) (result u32)))))
  (instance (export "uptime:notifier/notifier@0.1.0")))
