;; Asks a server whose body never ends: its beginning is read.
;; expect: delivered

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/endless")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\1e\00\00\00")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  ;; 65,536 bytes, and the word that there was more.
  (if (i32.load8_u (i32.const 768)) (then (unreachable)))
  (if (i32.ne (i32.load (i32.const 792)) (i32.const 65536)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 796)) (i32.const 1)) (then (unreachable)))
  (i32.const 256))
