;; Calls an entry of its table in which nothing is.
;; expect: trap: the plugin `hostile` crashed: wasm trap: uninitialized element

(type $none (func))
(table 4 funcref)
(func (export "notify") (param i32) (result i32)
  (call_indirect (type $none) (i32.const 2))
  (i32.const 256))
