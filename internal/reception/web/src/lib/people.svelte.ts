// Names of patients of whom only the id is told: those of walk-ins.
import { mems } from "./client.js";
import { fullName } from "./words.js";

class People {
  private names = $state<Record<number, string>>({});
  private asked = new Set<number>();

  /** "Muster, Ann"; "" while it is not known. */
  nameOf(id: number): string {
    return this.names[id] ?? "";
  }

  /** Reads the names that are not known yet, each once. */
  async look(ids: number[]): Promise<void> {
    const unknown = ids.filter((id) => !this.asked.has(id));
    for (const id of unknown) this.asked.add(id);
    await Promise.all(
      unknown.map(async (id) => {
        const answer = await mems.getPatient({ path: { id } });
        if (answer.data) this.names[id] = fullName(answer.data);
        else this.asked.delete(id); // asked again the next time
      }),
    );
  }

  forget(): void {
    this.names = {};
    this.asked.clear();
  }
}

export const people = new People();
