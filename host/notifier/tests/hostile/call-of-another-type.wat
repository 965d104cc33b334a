;; Calls a function as what it is not.
;; expect: trap: the plugin `hostile` crashed: wasm trap: indirect call type mismatch

(type $text (func (param i64) (result i64)))
(func $plain)
(table 1 funcref)
(elem (i32.const 0) $plain)
(func (export "notify") (param i32) (result i32)
  (drop (call_indirect (type $text) (i64.const 0) (i32.const 0)))
  (i32.const 256))
