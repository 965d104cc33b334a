;; Wants an interface of the host that there is not.
;; expect: bad component: the plugin `hostile` can't be loaded: component imports instance `uptime:notifier/secret@0.1.0`, but a matching implementation was not found in the linker: instance export `reveal` has the wrong type: function implementation is missing

(component
  (import "uptime:notifier/secret@0.1.0" (instance (export "reveal" (func (param "reference" string) (result string)))))
  (instance (export "uptime:notifier/notifier@0.1.0")))
