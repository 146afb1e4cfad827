// Takes pictures that are dropped or pasted anywhere on the page, or chosen, also whole folders, and sends them in
// batches.
const isField = (element) => element instanceof Element && element.closest("input, textarea, [contenteditable]");
const targetOf = (event) => (event.target instanceof Element ? event.target.closest("[data-drop]") : null);

export default {
  template: `
    <div class="drop-zone" :class="{ over: over }" role="group" :aria-label="label">
      <div class="drop-title">{{ title }}</div>
      <div class="drop-actions">
        <button type="button" class="drop-button" :disabled="sending" @click="$refs.files.click()">{{ choose }}</button>
        <button v-if="folders" type="button" class="drop-button" :disabled="sending" @click="$refs.folder.click()">
          Choose a folder
        </button>
      </div>
      <input ref="files" type="file" class="drop-input" multiple :accept="accept" tabindex="-1" aria-hidden="true"
             @change="onChosen">
      <input ref="folder" type="file" class="drop-input" webkitdirectory tabindex="-1" aria-hidden="true"
             @change="onChosen">
      <div class="note" role="status">{{ state }}</div>
    </div>
  `,
  props: {
    url: String,
    label: String,
    title: String,
    choose: String,
    accept: String,
    folders: Boolean,
    texts: Boolean,
    maxFileBytes: Number,
    maxBatchBytes: Number,
    maxBatchFiles: Number,
  },
  data() {
    return { over: false, sending: false, state: "" };
  },
  mounted() {
    this.listeners = { paste: this.onPaste, dragover: this.onDragOver, dragleave: this.onDragLeave, drop: this.onDrop };
    for (const [name, listener] of Object.entries(this.listeners)) document.addEventListener(name, listener);
  },
  unmounted() {
    for (const [name, listener] of Object.entries(this.listeners)) document.removeEventListener(name, listener);
    this.highlight(null);
  },
  methods: {
    // A text that is dropped on a field belongs to the field.
    isForField(event) {
      return isField(event.target) && !event.dataTransfer.types.includes("Files");
    },
    highlight(element) {
      if (this.target === element) return;
      this.target?.classList.remove("over");
      element?.classList.add("over");
      this.target = element;
    },
    onDragOver(event) {
      if (this.isForField(event)) return;
      event.preventDefault();
      this.highlight(targetOf(event));
      this.over = !this.target;
    },
    onDragLeave(event) {
      if (event.relatedTarget) return; // still within the page
      this.over = false;
      this.highlight(null);
    },
    onPaste(event) {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) {
        event.preventDefault();
        this.send(files.map((file) => ({ file, path: file.name || "pasted" })));
      } else if (this.texts && !isField(event.target)) {
        const text = event.clipboardData?.getData("text/plain") ?? "";
        if (text.trim()) this.$emit("text", text.slice(0, 500000));
      }
    },
    async onDrop(event) {
      if (this.isForField(event)) return;
      event.preventDefault();
      this.over = false;
      this.highlight(null);
      const target = targetOf(event)?.dataset.drop ?? "";
      const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
      const text = event.dataTransfer.getData("text/plain");
      if (!items.length) {
        if (this.texts && text.trim()) this.$emit("text", text.slice(0, 500000));
        return;
      }
      // The list of items is gone after the first await.
      const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
      const files = [];
      for (const entry of entries) await this.walk(entry, files);
      await this.send(files, target);
    },
    onChosen(event) {
      const files = [...event.target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      event.target.value = "";
      this.send(files);
    },
    async walk(entry, files) {
      if (entry instanceof File) {
        files.push({ file: entry, path: entry.name });
        return;
      }
      if (entry.isFile) {
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
        files.push({ file, path: entry.fullPath.replace(/^\//, "") });
        return;
      }
      const reader = entry.createReader();
      // A reader returns at most 100 entries at a time.
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) return;
        for (const one of some) await this.walk(one, files);
      }
    },
    async send(found, target = "") {
      if (this.sending) {
        this.state = "Still sending. Drop the others again when it is done.";
        return;
      }
      const hidden = ({ path }) => path.split("/").some((part) => part.startsWith("."));
      const files = found.filter((one) => !hidden(one) && one.file.size > 0 && one.file.size <= this.maxFileBytes);
      const left = found.length - files.length;
      const suffix = left ? `; ${left} left out: hidden, empty or too large` : "";
      this.sending = true;
      let done = 0;
      try {
        while (done < files.length) {
          const batch = this.takeBatch(files, done);
          this.state = `Sending ${done + batch.length} of ${files.length}${suffix}`;
          await this.post(batch, done, files.length, target);
          done += batch.length;
        }
        this.state = files.length || left ? `${done} sent${suffix}` : "";
      } catch (error) {
        this.state = `Stopped after ${done} of ${files.length}: the console does not answer`;
      } finally {
        this.sending = false;
      }
    },
    takeBatch(files, start) {
      let bytes = 0;
      let end = start;
      while (end < files.length && end - start < this.maxBatchFiles) {
        bytes += files[end].file.size;
        if (end > start && bytes > this.maxBatchBytes) break;
        end += 1;
      }
      return files.slice(start, end);
    },
    async post(batch, done, total, target) {
      const form = new FormData();
      form.append("target", target);
      form.append("done", done);
      form.append("total", total);
      for (const { file, path } of batch) form.append("file", file, path);
      const response = await fetch(this.url, { method: "POST", body: form });
      if (!response.ok) throw new Error(response.status);
    },
  },
};
