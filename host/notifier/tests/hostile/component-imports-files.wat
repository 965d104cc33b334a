;; Wants the file system of WASI.
;; expect: bad component: the plugin `hostile` can't be loaded: component imports instance `wasi:filesystem/preopens@0.2.0`, but a matching implementation was not found in the linker: instance export `get-directories` has the wrong type: function implementation is missing

(component
  (import "wasi:filesystem/preopens@0.2.0" (instance (export "get-directories" (func (result u32)))))
  (instance (export "uptime:notifier/notifier@0.1.0")))
