// grid.ts - the nearest of many points: points are hashed into square cells, and only the cells around are looked at.

export class Grid {
  private readonly cells = new Map<number, number>(); // cell -> its first point
  private readonly next: Int32Array; // point -> the next of its cell, -1: none

  /** x, y in pixels; cell: their side, and the farthest that nearest() reaches. */
  constructor(private readonly x: Float32Array, private readonly y: Float32Array, private readonly cell = 14) {
    this.next = new Int32Array(x.length);
    for (let i = 0; i < x.length; i++) {
      const key = this.key(x[i] ?? 0, y[i] ?? 0);
      this.next[i] = this.cells.get(key) ?? -1;
      this.cells.set(key, i);
    }
  }

  private key(x: number, y: number): number {
    return Math.floor(x / this.cell) * 65536 + Math.floor(y / this.cell);
  }

  /** The point with the least distance minus its favour (pixels) within a cell's side; -1: none. */
  nearest(x: number, y: number, favour: (point: number) => number): number {
    let found = -1;
    let least = Infinity;
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        let i = this.cells.get(this.key(x + dx * this.cell, y + dy * this.cell)) ?? -1;
        for (; i >= 0; i = this.next[i] ?? -1) {
          const distance = Math.hypot((this.x[i] ?? 0) - x, (this.y[i] ?? 0) - y);
          const score = distance - favour(i);
          if (distance <= this.cell && score < least) {
            least = score;
            found = i;
          }
        }
      }
    }
    return found;
  }
}
