;; Exports functions of that name which answer with a number.
;; expect: bad component: the plugin `hostile` can't be loaded: it has functions of other types: expected `record` found `u32`

(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "f") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $f (result u32) (canon lift (core func $i "f")))
  (instance (export "uptime:notifier/notifier@0.1.0")
    (export "describe" (func $f))
    (export "validate" (func $f))
    (export "notify" (func $f))))
