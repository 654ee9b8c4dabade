DROP TABLE patient_resources;
DROP TABLE patients;
