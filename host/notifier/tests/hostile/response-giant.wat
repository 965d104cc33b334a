;; Asks for an answer which it then has no place for.
;; expect: memory: the plugin `hostile` wanted more than its 16384 KiB of memory

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/endless")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\1e\00\00\00")
(func (export "cabi_realloc") (param i32 i32 i32) (param $new i32) (result i32)
  ;; A place for what the call hands over, none for a body.
  (if (i32.ge_u (local.get $new) (i32.const 65536))
    (then (loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (unreachable)))
  (i32.const 16384))
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  (i32.const 256))
