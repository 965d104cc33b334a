;; Says that it is the built-in `webhook`.
;; expect: bad component: the plugin `hostile` can't be loaded: it says that its name is `webhook`, which is another plugin's
;; call: describe

(data (i32.const 16) "webhook")
