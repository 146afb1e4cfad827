// Draws points on a canvas: click, drag, zoom, and the same by the keyboard.
const FULL = 65535;
const MARGIN = 18;
const REACH = 14; // pixels around a click
const TURNS = 16;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
// Colours alone do not tell everybody labels apart.
const MARKS = [
  (c, x, y, r) => { c.moveTo(x + r, y); c.arc(x, y, r, 0, 7); },
  (c, x, y, r) => c.rect(x - r, y - r, 2 * r, 2 * r),
  (c, x, y, r) => { c.moveTo(x, y - 1.3 * r); c.lineTo(x + 1.2 * r, y + r); c.lineTo(x - 1.2 * r, y + r); c.closePath(); },
  (c, x, y, r) => { c.moveTo(x, y - 1.4 * r); c.lineTo(x + 1.4 * r, y); c.lineTo(x, y + 1.4 * r); c.lineTo(x - 1.4 * r, y); c.closePath(); },
];

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return new Uint16Array(bytes.buffer);
}

export default {
  template: `
    <div class="scatter" role="application" tabindex="0" :aria-label="label"
         @keydown="onKey">
      <canvas ref="canvas" aria-hidden="true" @pointerdown="onDown" @pointermove="onMove" @pointerup="onUp"
              @pointercancel="drag = null" @wheel="onWheel"></canvas>
      <div class="scatter-zoom">
        <button type="button" aria-label="Zoom in" @click="zoomBy(1.5)">+</button>
        <button type="button" aria-label="Zoom out" @click="zoomBy(1 / 1.5)">−</button>
        <button type="button" aria-label="Show everything" @click="reset">⤢</button>
      </div>
    </div>
  `,
  props: { label: String, points: String, members: String, hues: Array, shown: Number, selected: Number, area: Array, details: String, plainFrom: Number },
  data() {
    return { drag: null };
  },
  created() {
    // Large arrays stay out of Vue's reactive data.
    this.view = { scale: 1, x: FULL / 2, y: FULL / 2 };
    this.current = this.selected;
  },
  mounted() {
    this.read();
    this.resized = new ResizeObserver(() => this.redraw());
    this.resized.observe(this.$el);
    this.recoloured = new MutationObserver(() => this.redraw());
    this.recoloured.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  },
  unmounted() {
    this.resized.disconnect();
    this.recoloured.disconnect();
    clearTimeout(this.telling);
  },
  watch: {
    points() { this.read(); },
    members() { this.read(); },
    hues() { this.redraw(); },
    shown() { this.redraw(); },
    area() { this.redraw(); },
    selected(value) {
      this.current = value;
      if (value >= 0) this.bringIntoView(value);
      this.redraw();
    },
  },
  methods: {
    read() {
      this.places = decode(this.points);
      this.codes = decode(this.members);
      this.redraw();
    },
    redraw() {
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => {
        this.waiting = 0;
        if (this.$refs.canvas) this.draw();
      });
    },
    size() {
      return { width: this.$el.clientWidth, height: this.$el.clientHeight };
    },
    factor() {
      const { width, height } = this.size();
      return ((Math.min(width, height) - 2 * MARGIN) / FULL) * this.view.scale;
    },
    place(index) {
      const { width, height } = this.size();
      const factor = this.factor();
      return [
        width / 2 + (this.places[2 * index] - this.view.x) * factor,
        height / 2 - (this.places[2 * index + 1] - this.view.y) * factor,
      ];
    },
    draw() {
      const { width, height } = this.size();
      const ratio = window.devicePixelRatio || 1;
      const canvas = this.$refs.canvas;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const context = canvas.getContext("2d");
      context.scale(ratio, ratio);
      const dark = document.body.classList.contains("body--dark");
      const count = this.codes.length;
      const radius = count > this.plainFrom ? 1.5 : count > 500 ? 3 : 5;
      const plain = count > this.plainFrom;
      // The shown class is drawn last, above the others.
      for (const above of this.shown >= 0 ? [false, true] : [false]) {
        // Classes take turns. Otherwise the last one would cover the others.
        for (let turn = 0; turn < TURNS; turn++) {
          for (const [code, indexes] of this.classesOf(turn)) {
            if (this.shown >= 0 && (code === this.shown) !== above) continue;
            context.globalAlpha = this.shown >= 0 && !above ? 0.12 : 0.8;
            context.fillStyle = this.colour(code, dark);
            this.fill(context, indexes, code, radius, plain, width, height);
          }
        }
      }
      context.globalAlpha = 1;
      context.strokeStyle = getComputedStyle(this.$el).getPropertyValue("--ink");
      context.lineWidth = 1;
      for (const index of this.area ?? []) this.ring(context, index, radius + 2);
      context.lineWidth = 3;
      if (this.current >= 0 && this.current < count) this.ring(context, this.current, radius + 5);
      if (this.drag?.area) this.drawArea(context);
    },
    classesOf(turn) {
      const classes = new Map();
      for (let index = turn; index < this.codes.length; index += TURNS) {
        const code = this.codes[index];
        if (!classes.has(code)) classes.set(code, []);
        classes.get(code).push(index);
      }
      return classes;
    },
    colour(code, dark) {
      const hue = this.hues[code];
      return hue < 0 ? `hsl(220 8% ${dark ? 62 : 50}%)` : `hsl(${hue} 60% ${dark ? 65 : 42}%)`;
    },
    fill(context, indexes, code, radius, plain, width, height) {
      const mark = MARKS[plain ? 1 : code % MARKS.length];
      context.beginPath();
      for (const index of indexes) {
        const [x, y] = this.place(index);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        mark(context, x, y, radius);
      }
      context.fill();
    },
    ring(context, index, radius) {
      const [x, y] = this.place(index);
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.stroke();
    },
    drawArea(context) {
      const { from, to } = this.drag;
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      context.strokeRect(from[0], from[1], to[0] - from[0], to[1] - from[1]);
      context.setLineDash([]);
    },
    position(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    },
    onDown(event) {
      if (event.button !== 0) return;
      this.$refs.canvas.setPointerCapture(event.pointerId);
      const from = this.position(event);
      this.drag = { from, to: from, last: from, area: event.shiftKey, moved: false };
    },
    onMove(event) {
      if (!this.drag) return;
      const to = this.position(event);
      this.drag.moved ||= Math.hypot(to[0] - this.drag.from[0], to[1] - this.drag.from[1]) > 4;
      if (!this.drag.area && this.drag.moved) {
        const factor = this.factor();
        this.view.x -= (to[0] - this.drag.last[0]) / factor;
        this.view.y += (to[1] - this.drag.last[1]) / factor;
      }
      this.drag.to = this.drag.last = to;
      this.redraw();
    },
    onUp() {
      const drag = this.drag;
      this.drag = null;
      if (!drag) return;
      if (drag.area && drag.moved) this.$emit("area", this.within(drag.from, drag.to));
      else if (!drag.moved) this.choose(this.nearest(drag.from), 0);
      this.redraw();
    },
    onWheel(event) {
      // Without a key the page scrolls.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 200));
    },
    visible(index) {
      return this.shown < 0 || this.codes[index] === this.shown;
    },
    nearest([x, y]) {
      let best = -1, least = REACH;
      for (let index = 0; index < this.codes.length; index++) {
        if (!this.visible(index)) continue;
        const [px, py] = this.place(index);
        const distance = Math.hypot(px - x, py - y);
        if (distance < least) [best, least] = [index, distance];
      }
      return best;
    },
    within(from, to) {
      const [left, right] = [Math.min(from[0], to[0]), Math.max(from[0], to[0])];
      const [top, bottom] = [Math.min(from[1], to[1]), Math.max(from[1], to[1])];
      const indexes = [];
      for (let index = 0; index < this.codes.length; index++) {
        const [x, y] = this.place(index);
        if (this.visible(index) && x >= left && x <= right && y >= top && y <= bottom) indexes.push(index);
      }
      return indexes;
    },
    next([right, up]) {
      // From nothing, a key chooses the point nearest to the middle.
      const start = this.current;
      const x = start >= 0 ? this.places[2 * start] : this.view.x;
      const y = start >= 0 ? this.places[2 * start + 1] : this.view.y;
      let best = -1, least = Infinity;
      for (let index = 0; index < this.codes.length; index++) {
        if (index === start || !this.visible(index)) continue;
        const dx = this.places[2 * index] - x, dy = this.places[2 * index + 1] - y;
        const along = dx * right + dy * up;
        const aside = Math.abs(dx * up - dy * right);
        if (start >= 0 && (along <= 0 || aside > along)) continue;
        const cost = Math.hypot(dx, dy) + aside;
        if (cost < least) [best, least] = [index, cost];
      }
      return best;
    },
    onKey(event) {
      if (event.target !== this.$el || event.ctrlKey || event.metaKey || event.altKey) return;
      if (KEYS[event.key]) this.choose(this.next(KEYS[event.key]), 250, true);
      else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
      else if (event.key === "-") this.zoomBy(1 / 1.5);
      else if (event.key === "0") this.reset();
      else if (event.key === "Enter") document.getElementById(this.details)?.focus();
      else if (event.key === "Escape") this.choose(-1, 0);
      else return;
      event.preventDefault();
    },
    // A run of keys asks the server for the last point alone.
    choose(index, wait, keep = false) {
      if (keep && index < 0) return;
      this.current = index;
      if (index >= 0) this.bringIntoView(index);
      this.redraw();
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.$emit("select", index), wait);
    },
    bringIntoView(index) {
      const { width, height } = this.size();
      const [x, y] = this.place(index);
      if (x > 0 && y > 0 && x < width && y < height) return;
      this.view.x = this.places[2 * index];
      this.view.y = this.places[2 * index + 1];
    },
    zoomBy(factor) {
      this.view.scale = Math.min(200, Math.max(0.5, this.view.scale * factor));
      if (this.current >= 0 && factor > 1) {
        this.view.x = this.places[2 * this.current];
        this.view.y = this.places[2 * this.current + 1];
      }
      this.redraw();
    },
    reset() {
      this.view = { scale: 1, x: FULL / 2, y: FULL / 2 };
      this.redraw();
    },
  },
};
