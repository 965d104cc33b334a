;; Says that it is the built-in `webhook`: it goes by the name that it was added under.
;; expect: described: `hostile` `webhook`, `webhook`
;; call: describe

(data (i32.const 16) "webhook")
