import { ActionDialog, type Given } from "../../components/ActionDialog";
import { Field } from "../../components/Field";
import { get, send } from "../../lib/api";
import { saveAs } from "./documents";
import { useOutdate } from "./useOutdate";

export function ExportDialog({ close }: { close: () => void }) {
  const run = async ({ form }: Given): Promise<string> => {
    const active = form.get("active") !== null ? true : null;
    const { document } = await get("/api/training/configuration-documents", { query: { active } });
    const listed = document["configurations"];
    saveAs("tradepulse-configurations.json", document);
    return `${Array.isArray(listed) ? listed.length : 0} configurations exported.`;
  };
  return (
    <ActionDialog
      title="Export configurations"
      explain={<p>One file with parameters and evidence of every market. It holds no keys and no trades; its hash tells whether somebody changed it on its way.</p>}
      confirm="Export"
      close={close}
      run={run}
    >
      <label className="check">
        <input type="checkbox" name="active" defaultChecked /> Only those in force
      </label>
    </ActionDialog>
  );
}

export function ImportDialog({ close }: { close: () => void }) {
  const outdate = useOutdate();
  const run = async ({ form, key }: Given): Promise<string> => {
    const file = form.get("file");
    const text = file instanceof File ? await file.text() : "";
    const { items } = await send("post", "/api/training/configuration-documents", { body: { text }, key });
    outdate();
    return items.length > 0 ? `${items.length} configurations imported. None is in force: activate those you trust.` : "Nothing new: everything in the document is stored already.";
  };
  return (
    <ActionDialog
      title="Import configurations"
      explain={<p>The document is checked as a whole. What is new is stored in validation and is <strong>not in force</strong> until somebody activates it.</p>}
      confirm="Import"
      close={close}
      run={run}
    >
      <Field label="File" hint="As it was exported, unchanged.">
        {(control) => <input {...control} name="file" type="file" accept="application/json,.json" required />}
      </Field>
    </ActionDialog>
  );
}
