;; Sends 40,000 headers, each of another name: more than the host's map of headers can hold.
;; expect: delivered
;; seen: there are more than 64 headers
;; limits: cpu=1000

(memory (export "memory") 32)
;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\17\00\00\00")
;; The headers are a list at 0x80000, their names are at 0x140000, and the value of each is `x`.
(data (i32.const 532) "\00\00\08\00\40\9c\00\00")
(data (i32.const 912) "x")
(func (export "notify") (param i32) (result i32)
  (local $nth i32) (local $header i32) (local $name i32)
  (local.set $header (i32.const 0x80000))
  (local.set $name (i32.const 0x140000))
  (loop
    ;; Four letters, from `aaaa` to `pppp`.
    (i32.store (local.get $name)
      (i32.add (i32.const 0x61616161)
        (i32.or
          (i32.or
            (i32.and (local.get $nth) (i32.const 0xf))
            (i32.shl (i32.and (local.get $nth) (i32.const 0xf0)) (i32.const 4)))
          (i32.or
            (i32.shl (i32.and (local.get $nth) (i32.const 0xf00)) (i32.const 8))
            (i32.shl (i32.and (local.get $nth) (i32.const 0xf000)) (i32.const 12))))))
    (i32.store (local.get $header) (local.get $name))
    (i32.store offset=4 (local.get $header) (i32.const 4))
    (i64.store offset=8 (local.get $header) (i64.const 0x100000390))
    (local.set $header (i32.add (local.get $header) (i32.const 16)))
    (local.set $name (i32.add (local.get $name) (i32.const 4)))
    (local.set $nth (i32.add (local.get $nth) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $nth) (i32.const 40000))))
  (call $http (i32.const 512) (i32.const 768))
  ;; `invalid`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 776)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 780)) (i32.load (i32.const 784)))
  (i32.const 256))
