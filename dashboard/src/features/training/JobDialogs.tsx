import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import type { TrainingJobLine } from "../../generated/api";
import { send } from "../../lib/api";
import { requestOf } from "./progress";

interface JobDialogProps {
  job: TrainingJobLine;
  close: () => void;
}

export function CancelDialog({ job, close }: JobDialogProps) {
  const client = useQueryClient();
  const run = async ({ key }: Given): Promise<string> => {
    const left = await send("delete", "/api/training/jobs/{job_id}", { path: { job_id: job.job_id }, key });
    void client.invalidateQueries({ queryKey: ["training job", job.job_id] });
    void client.invalidateQueries({ queryKey: ["training jobs"] });
    return `The training job is ${left.state}.`;
  };
  return (
    <ActionDialog
      title="Cancel this training"
      explain={<p>Its workers stop within seconds. What was found so far is not judged, and nothing that is in force changes.</p>}
      confirm="Cancel the job"
      danger
      close={close}
      run={run}
    />
  );
}

/** The server takes up no job that has ended: the same is asked for as a new one. */
export function AgainDialog({ job, close }: JobDialogProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const run = async ({ key }: Given): Promise<string> => {
    const begun = await send("post", "/api/training/start-multi-dimensional", { body: requestOf(job), key });
    void client.invalidateQueries({ queryKey: ["training jobs"] });
    void client.invalidateQueries({ queryKey: ["training status"] });
    void navigate({ to: "/training/$jobId", params: { jobId: begun.job_id } });
    return `Training job ${begun.job_id} is ${begun.state}: ${begun.units} parts.`;
  };
  return (
    <ActionDialog
      title="Train the same again"
      explain={
        <p>
          A job that has ended stays ended. A new one tries the same {job.points} parameter sets on the same {job.units} parts from the beginning. A search for a challenger is
          not repeated. No money moves.
        </p>
      }
      confirm="Start training"
      close={close}
      run={run}
    />
  );
}
