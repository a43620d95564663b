/* Search where the manual is opened from a folder (file:), where browsers refuse workers: the worker's script runs in a
   hidden frame instead. Over HTTP the browser's own workers are used and nothing is changed. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.inside = frame.contentWindow
      this.inside.postMessage = data => setTimeout(() => this.receive(data))
      this.ready = this.load(url)
      this.inside.importScripts = (...urls) => urls.reduce((before, one) => before.then(() => this.load(one)), this.ready)
    }
    load(url) {
      return new Promise((done, failed) => {
        const script = this.inside.document.createElement("script")
        script.src = new URL(url, location.href)
        script.onload = done
        script.onerror = failed
        this.inside.document.head.appendChild(script)
      })
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", {data})))
    }
    receive(data) {
      const event = new MessageEvent("message", {data})
      this.dispatchEvent(event)
      this.onmessage?.(event)
    }
    terminate() {
      this.inside.frameElement.remove()
    }
  }
}
