;; Asks for signatures without end. (At 512 is no reference.)
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 4096))
(func (export "notify") (param i32) (result i32)
  (loop (call $sign (i32.const 512) (i32.const 6) (i32.const 0) (i32.const 60000) (i32.const 1024)) (br 0)) (unreachable))
