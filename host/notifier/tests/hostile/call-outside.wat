;; Calls an entry that its table does not have.
;; expect: trap: the plugin `hostile` crashed: wasm trap: undefined element: out of bounds table access

(type $none (func))
(table 4 funcref)
(func (export "notify") (param i32) (result i32)
  (call_indirect (type $none) (i32.const 70000))
  (i32.const 256))
