// Lets a reader go through a trace of the simulated driver, one step at a time: both tables, the translation table, and
// the kernel function that the step stands for.
//
// The trace is `Trace::to_json` of binder-sim, in the page itself, so that it also works where a page is opened from a
// disk. The tables stand there once; each step says what it changes in them, and is applied here as `Trace::replay`
// does it. Without this script the page keeps the picture of all steps.
(() => {
    const element = (kind, text, ...names) => {
        const made = document.createElement(kind);
        made.classList.add(...names);
        made.textContent = text;
        return made;
    };

    // The tables and the translation table after the first `steps` steps; and which numbers the last of them changed.
    const replay = (trace, steps) => {
        const tables = trace.before.map((rows) => new Map(rows.map((row) => [row.fd, row])));
        for (const { process, fd, now } of trace.rows.slice(0, steps).flatMap((row) => row.changes)) {
            tables[process].delete(fd);
            if (now !== null) tables[process].set(fd, now);
        }
        const changed = new Set((trace.rows[steps - 1]?.changes ?? []).map(({ process, fd }) => `${process} ${fd}`));
        return { tables, changed, arrived: trace.translations.filter((row) => row.installed_at_step <= steps) };
    };

    const tableOf = (name, rows, isChanged) => {
        const box = element("div", "", "stepper-table");
        box.append(element("strong", name));
        for (const row of [...rows.values()].sort((one, other) => one.fd - other.fd)) {
            const line = element("div", `${String(row.fd).padStart(3)}  ${row.file}`, "stepper-row");
            if (isChanged(row.fd)) line.classList.add("stepper-changed");
            box.append(line);
        }
        return box;
    };

    const show = (stepper, trace, step) => {
        const { tables, changed, arrived } = replay(trace, step);
        const row = trace.rows[step - 1];
        const what = row ? `${row.in_call_of}: ${row.function}` : "Before the first step";
        const said = stepper.querySelector(".stepper-said");
        said.replaceChildren(element("code", what), element("div", row?.text ?? "Each process with its own table."));
        const boxes = tables.map((rows, at) =>
            tableOf(trace.processes[at], rows, (fd) => changed.has(`${at} ${fd}`)),
        );
        stepper.querySelector(".stepper-tables").replaceChildren(...boxes);
        const lines = arrived.map((row) =>
            `${row.sender} ${row.sender_fd}  →  ${row.file}  →  ${row.receiver} ${row.receiver_fd}`,
        );
        stepper.querySelector(".stepper-arrived").textContent = lines.join("\n") || "(nothing has arrived yet)";
        stepper.querySelector("output").textContent = `step ${step} of ${trace.rows.length}`;
    };

    for (const script of document.querySelectorAll("script.trace")) {
        const trace = JSON.parse(script.textContent);
        const stepper = element("div", "", "stepper");
        const controls = element("div", "", "stepper-controls");
        const slider = Object.assign(element("input", ""), { type: "range", min: 0, max: trace.rows.length, value: 0 });
        slider.setAttribute("aria-label", `Step of the ${trace.translation} trace`);
        const go = (step) => {
            slider.value = step;
            show(stepper, trace, Number(slider.value));
        };
        const button = (text, by) => {
            const made = element("button", text);
            made.addEventListener("click", () => go(Number(slider.value) + by));
            return made;
        };
        slider.addEventListener("input", () => go(slider.value));
        controls.append(element("strong", trace.translation), button("◀", -1), slider, button("▶", 1), element("output", ""));
        stepper.append(
            controls,
            element("div", "", "stepper-said"),
            element("div", "", "stepper-tables"),
            element("div", "The fd translation table:", "stepper-title"),
            element("pre", "", "stepper-arrived"),
        );
        script.after(stepper);
        go(0);
    }
})();
