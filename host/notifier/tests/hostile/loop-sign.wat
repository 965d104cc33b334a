;; Asks for signatures without end. (At 512 is no reference.)
;; expect: cpu: the plugin `hostile` used up its 50 ms of CPU time

;; The key is one piece, a reference, and the message one of bytes.
(data (i32.const 600) "\01\00\00\00\00\02\00\00\06\00\00\00")
(data (i32.const 640) "\00\00\00\00\00\00\00\00\60\ea\00\00")
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 4096))
(func (export "notify") (param i32) (result i32)
  (loop (call $sign (i32.const 1) (i32.const 600) (i32.const 1) (i32.const 640) (i32.const 1) (i32.const 1024)) (br 0)) (unreachable))
