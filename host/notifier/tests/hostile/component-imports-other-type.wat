;; Wants the log to answer.
;; expect: bad component: the plugin `hostile` can't be loaded: component imports instance `uptime:notifier/log@0.1.0`, but a matching implementation was not found in the linker: instance export `write` has the wrong type: type mismatch with parameters: expected 2-tuple, found 0-tuple

(component
  (import "uptime:notifier/log@0.1.0" (instance (export "write" (func (result string)))))
  (instance (export "uptime:notifier/notifier@0.1.0")))
